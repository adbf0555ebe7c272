/** Holds what was found on the disk after a kill and a recovery against what had been said before the kill. */
import type { Account, SaidPacket } from './ledger.ts';
import { readStored, type StoredPacket } from './stored.ts';

/** A trace chunk's own name, in the session's directory or in the archives. */
const chunkName = /^(archives\/)?\d{8}T\d{6}[+-]\d{4}(-\d{8}T\d{6}[+-]\d{4})?-(\d+)$/;
/** Files of the ring: each holds one packet at least. */
const ringFiles = 2;

/** All that is wrong; empty when nothing is. */
export function judge(account: Account, outputPath: string): string[] {
  const { packets, metadata, faults } = readStored(outputPath, (stream) => stream !== 'snap');
  const found = new Map<string, StoredPacket>();
  /** Where each chunk lies, by `session chunk`, and the other way round. */
  const places = new Map<string, string>();
  const chunks = new Map<string, string>();
  for (const packet of packets) {
    const key = `${packet.stream} ${packet.seq}`;
    if (found.has(key)) faults.push(`packet ${key} is there twice`);
    found.set(key, packet);
    const said = account.begun.get(key);
    if (said === undefined) {
      faults.push(`packet ${key} was never sent`);
      continue;
    }
    const chunk = `${said.session} ${said.chunk}`;
    for (const [map, from, to] of [
      [places, chunk, packet.chunkPath],
      [chunks, packet.chunkPath, chunk],
    ] as const) {
      if ((map.get(from) ?? to) !== to) faults.push(`packet ${key}: ${from} is ${to} and ${map.get(from)}`);
      map.set(from, to);
    }
  }
  for (const [chunk, place] of places) faults.push(...misplaced(account, chunk, place));
  for (const key of account.stored) {
    const packet = account.begun.get(key) as SaidPacket;
    if (!found.has(key) && !mayBeGone(account, packet, places)) faults.push(`packet ${key} is lost`);
  }
  for (const [path, text] of metadata)
    if (!/^(declaration \d+;\n)*$/.test(text)) faults.push(`${path} is torn: ${text.slice(-20)}`);
  for (const [key, bytes] of account.metadata) {
    const [session, chunk, path] = key.split(' ');
    const place = places.get(`${session} ${chunk}`);
    const length = metadata.get(`${place}/${path}/metadata`)?.length ?? 0;
    if (place !== undefined && length < bytes) faults.push(`metadata ${key}: ${length} of ${bytes} bytes`);
  }
  return faults;
}

function misplaced(account: Account, chunk: string, chunkPath: string): string[] {
  const place = chunkPath.split('/').slice(2).join('/');
  const [, archives, , id] = chunkName.exec(place) ?? [];
  const name = chunk.split(' ')[1];
  const isOwn = place === '' || id === name || (chunk === 'snap 0' && place === 'snapshot-1');
  if (!isOwn) return [`chunk ${chunk} lies in ${chunkPath}`];
  const asked = account.closing.get(chunk);
  const accepted = account.closed.get(chunk);
  if (accepted === 'delete') return [`chunk ${chunk} was deleted and lies in ${chunkPath}`];
  if (accepted === 'moveToCompleted' && archives === undefined)
    return [`chunk ${chunk} is complete and lies in ${chunkPath}`];
  if (asked !== 'moveToCompleted' && archives !== undefined)
    return [`chunk ${chunk} lies in ${chunkPath}, and nobody asked for it`];
  return [];
}

/** Overwritten, or in a chunk that was deleted whole. */
function mayBeGone(
  account: Account,
  { stream, seq, session, chunk }: SaidPacket,
  places: Map<string, string>,
): boolean {
  const key = `${session} ${chunk}`;
  if (account.closing.get(key) === 'delete' && !places.has(key)) return true;
  if (stream !== 'ring') return false;
  // the first packet of the next chunk may have come before it was known to be that
  const [before, over] = [seq + ringFiles - 1, seq + ringFiles].map((n) => account.begun.get(`ring ${n}`));
  return over !== undefined && before?.chunk === chunk;
}
