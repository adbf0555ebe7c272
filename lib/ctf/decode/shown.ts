/**
 * Which fields a reader shows: not those that only steer decoding (a role, a clock), unless a length or tag that is
 * shown needs them. Source: ctf, "Scopes".
 */
import type { Field, IntegerField, Slot, StreamLayout, StructField } from './layout.ts';

/** Sets `shown` of all fields of a stream class. What needs others comes behind them, so the way is backwards. */
export function markShown(layout: StreamLayout): void {
  const needed = new Set<IntegerField>();
  const mark = (scope: StructField | undefined) => scope && markField(scope, needed);
  for (const { payload } of layout.events.values()) mark(payload);
  for (const { context } of layout.events.values()) mark(context);
  mark(layout.eventContext);
  mark(layout.eventHeader);
  mark(layout.packetContext);
  mark(layout.packetHeader);
}

function markField(field: Field, needed: Set<IntegerField>): void {
  switch (field.kind) {
    case 'integer':
      field.shown = needed.has(field) || (field.integer.clock === undefined && field.role === undefined);
      return;
    case 'float':
    case 'string':
      return;
    case 'text':
      need(field.length, needed);
      return;
    case 'struct':
      for (let i = field.members.length - 1; i >= 0; i--) markField(field.members[i] as Field, needed);
      field.shown = field.members.length === 0 || field.members.some(({ shown }) => shown);
      return;
    case 'array':
      markField(field.element, needed);
      field.shown = field.element.shown;
      if (field.shown) need(field.length, needed);
      return;
    case 'variant':
      for (const option of field.options) markField(option.field, needed);
      field.shown = field.options.length === 0 || field.options.some((option) => option.field.shown);
      if (field.shown) need(field.tag, needed);
      return;
    case 'optional':
      markField(field.field, needed);
      field.shown = field.field.shown;
      if (field.shown) need(field.selector, needed);
  }
}

function need(slot: number | Slot, needed: Set<IntegerField>): void {
  if (typeof slot !== 'number') needed.add(slot.field);
}
