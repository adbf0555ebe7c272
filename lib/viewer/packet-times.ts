/** The times of a packet's first and last event, for tracers that wrote wrong ones into its context. */
import { compileBody, compileHeader, compilePacket, type Decode } from '../ctf/decode/compiler.ts';
import { Cursor } from '../ctf/decode/cursor.ts';
import type { StreamLayout } from '../ctf/decode/layout.ts';
import { PacketFile } from './packet-file.ts';
import type { Packet } from './packet-table.ts';
import { FoldEmitter } from './skip-emitter.ts';

/** Cycles; undefined: it has no events. What is wrong with them shows when they are read in their turn. */
export async function packetTimes(
  packet: Packet,
  layout: StreamLayout,
): Promise<{ first: bigint; last: bigint } | undefined> {
  const file = new PacketFile(0);
  try {
    await file.load(packet);
    const bytes = file.held(packet);
    return bytes && timesIn(packet, bytes, layout);
  } finally {
    await file.close();
  }
}

function timesIn(packet: Packet, bytes: Buffer, layout: StreamLayout) {
  const make = (code: ConstructorParameters<typeof FoldEmitter>[0]) => new FoldEmitter(code);
  const header = compileHeader(layout, make);
  const bodies = new Map<bigint, Decode<undefined>>();
  const cursor = new Cursor(layout.sharedSlots);
  cursor.enter(bytes, packet.contentBits);
  let first: bigint | undefined;
  let last: bigint | undefined;
  try {
    compilePacket(layout, make)(cursor, undefined);
    for (let before = -1; cursor.at < cursor.contentBits && cursor.at !== before; ) {
      before = cursor.at;
      header(cursor, undefined);
      const time = (BigInt(cursor.clock[1] as number) << 32n) | BigInt(cursor.clock[0] as number);
      const id = (BigInt(cursor.idHigh >>> 0) << 32n) | BigInt(cursor.idLow >>> 0);
      const event = layout.events.get(id);
      if (event === undefined) break;
      let body = bodies.get(id);
      if (body === undefined) {
        body = compileBody<undefined>(layout, event, make);
        bodies.set(id, body);
      }
      body(cursor, undefined);
      first ??= time;
      last = time;
    }
  } catch {
    // see above
  }
  return first === undefined || last === undefined ? undefined : { first, last };
}
