/**
 * SEND_METADATA: the one command without a reply, and the one whose body may be long. Its text goes to the
 * stream's file as it comes, in as many parts as reads brought it.
 */
import { MillraceError } from '../../errors.ts';
import type { Slab } from '../../stage/slab.ts';
import { metadataHead, type RequestHeader } from '../control-format.ts';
import type { RequestPart } from '../requests.ts';
import type { SessionContext } from './handler.ts';
import { ownMetadataStream } from './streams.ts';

/** One SEND_METADATA under way. */
export class MetadataCommand {
  readonly #context: SessionContext;
  readonly #stream: number;
  readonly #paddingSizeBytes: number;

  /** Errors: MR_ERR_RELAY_METADATA, MR_ERR_WIRE_SHORT, and those of `ownMetadataStream`. */
  constructor(context: SessionContext, { header, bytes, start, end }: RequestPart<RequestHeader>) {
    const { streamId, paddingSizeBytes } = metadataHead.decode(bytes, start, end);
    const { limits } = context.relay;
    this.#context = context;
    this.#paddingSizeBytes = paddingSizeBytes;
    this.#stream = ownMetadataStream(context.relay, context.session, 'sendMetadata', streamId).handle;
    if (header.bodyBytes === header.collectBytes) throw refused('it has no text');
    if (paddingSizeBytes > limits.controlPayloadBytes)
      throw refused(`its padding is ${paddingSizeBytes} bytes`);
  }

  /** Text `slab[start, end)`; the slab is retained as long as it is needed. */
  part(slab: Slab, start: number, end: number, last: boolean): void {
    const { relay, session } = this.#context;
    relay.store.accept(
      {
        kind: 'metadata',
        session: session.id,
        stream: this.#stream,
        version: session.metadataVersions.get(this.#stream) ?? 0,
        start,
        end,
        last,
        paddingSizeBytes: last ? this.#paddingSizeBytes : 0,
      },
      slab,
    );
  }
}

function refused(reason: string): MillraceError {
  return new MillraceError('MR_ERR_RELAY_METADATA', { command: 'sendMetadata', why: reason });
}
