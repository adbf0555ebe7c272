/** The door of metadata: a file's bytes in, the class of its trace out. */
import { type TraceClass, uuidText } from '../trace-class.ts';
import { traceClassOfJson } from './json.ts';
import { metadataError, metadataTextOf } from './metadata-text.ts';
import { type MetadataDepth, traceClassOfTsdl } from './tsdl.ts';

/**
 * What the metadata of a trace says of its packets. `file`: a whole metadata file, packets or plain text, CTF 1.8 or
 * CTF 2; not kept. Errors: MR_ERR_CTF_METADATA with line and column, MR_ERR_CTF_METADATA_PACKET.
 */
export function readMetadataClass(file: Buffer): TraceClass {
  return read(file, 'packets');
}

/** The same with all that it says of events, which must fit into `limits.metadataTokens`. */
export function readTraceClass(file: Buffer): TraceClass {
  return read(file, 'events');
}

function read(file: Buffer, depth: MetadataDepth): TraceClass {
  const { language, text, uuid } = metadataTextOf(file);
  const trace = language === 'json' ? traceClassOfJson(text, depth) : traceClassOfTsdl(text, depth);
  if (uuid !== undefined && trace.uuid !== undefined && !uuid.equals(trace.uuid))
    throw metadataError(text, 0, `trace ${uuidText(trace.uuid)} in packets of trace ${uuidText(uuid)}`);
  return { ...trace, uuid: trace.uuid ?? (uuid && Buffer.from(uuid)) };
}
