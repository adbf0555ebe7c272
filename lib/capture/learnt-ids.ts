/**
 * What a relay gives numbers to (sessions, streams, traces), and who asks repeats to it. A replay must say the numbers that
 * the live relay has given in place of those that the recorded one gave; they are learnt from answers to the same
 * question. Which fields hold them is declared in the layouts (`id`).
 */
import type { Shape, Struct } from '../schema/index.ts';

/** A field of two answers: what the recorded relay said, and the live one. */
interface Pair {
  name: string;
  type: Shape;
  recorded: unknown;
  live: unknown;
}

/** Where two answers differ, for people. */
export interface Difference {
  field: string;
  got: string;
  expected: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** See the file's head. */
export class LearntIds {
  /** By what they name: the recorded numbers, and what stands for them now. */
  readonly #ids = new Map<string, Map<bigint, bigint>>();

  /** Learns the numbers of two answers of one layout. */
  learn(layout: Struct<object>, recorded: object, live: object): void {
    for (const pair of pairsOf(layout, recorded as Fields, live as Fields)) {
      const names = namesOf(pair.type);
      if (names === undefined) continue;
      const ids = this.#ids.get(names) ?? new Map<bigint, bigint>();
      this.#ids.set(names, ids);
      ids.set(pair.recorded as bigint, pair.live as bigint);
    }
  }

  /**
   * Puts live numbers into a message at `at`, in place. Those that the recorded relay never gave stay as they are, and so
   * does a message that is too short for its layout.
   */
  rewrite(layout: Struct<object>, bytes: Buffer, at = 0): void {
    if (bytes.length - at < layout.minSizeBytes) return;
    for (const [name, type] of layout.fields) {
      const names = namesOf(type);
      if (names !== undefined) {
        const fieldAt = at + layout.offsetOf(name);
        const recorded = bytes.readBigUInt64BE(fieldAt);
        bytes.writeBigUInt64BE(this.#ids.get(names)?.get(recorded) ?? recorded, fieldAt);
      } else if (type.kind === 'list' && type.of.fixedSizeBytes !== undefined) {
        const size = type.of.fixedSizeBytes;
        for (let start = at + layout.offsetOf(name); start + size <= bytes.length; start += size)
          this.rewrite(type.of, bytes, start);
      }
    }
  }
}

/** The first field that differs and holds no number that relays give. `except`: integers that may differ, by name. */
export function differenceOf(
  layout: Struct<object>,
  recorded: object,
  live: object,
  except: ReadonlySet<string>,
): Difference | undefined {
  for (const { name, type, recorded: expected, live: got } of pairsOf(
    layout,
    recorded as Fields,
    live as Fields,
  )) {
    const mayDiffer = type.kind === 'integer' && (type.names !== undefined || except.has(name));
    if (!mayDiffer && !isSame(expected, got))
      return { field: name, got: String(got), expected: String(expected) };
  }
  return undefined;
}

function namesOf(type: Shape): string | undefined {
  return type.kind === 'integer' ? type.names : undefined;
}

function isSame(a: unknown, b: unknown): boolean {
  return a instanceof Buffer && b instanceof Buffer ? a.equals(b) : a === b;
}

/** Field by field; a list's elements are paired by their texts, for relays list in any order. */
function* pairsOf(layout: Struct<object>, recorded: Fields, live: Fields): Generator<Pair> {
  for (const [name, type] of layout.fields) {
    if (!(name in recorded) && !(name in live)) continue;
    const pair = { name, type, recorded: recorded[name], live: live[name] };
    if (type.kind !== 'list') {
      yield pair;
      continue;
    }
    const [ours, theirs] = [pair.recorded, pair.live].map((list) => inOrder(type.of, list as Fields[]));
    const counts = { recorded: ours?.length, live: theirs?.length };
    yield { ...pair, ...counts };
    if (counts.recorded !== counts.live) return;
    for (const [at, one] of (ours ?? []).entries()) yield* pairsOf(type.of, one, theirs?.[at] as Fields);
  }
}

function inOrder({ fields }: Struct<object>, list: readonly Fields[]): Fields[] {
  const texts = fields.filter(([, { kind }]) => kind === 'fixedString' || kind === 'text');
  const keyOf = (one: Fields) => texts.map(([name]) => String(one[name])).join('\0');
  return list.toSorted((a, b) => keyOf(a).localeCompare(keyOf(b)));
}
