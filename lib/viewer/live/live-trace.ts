/** The metadata of a trace as it comes in, and the code for its packets. */
import { readTraceClass } from '../../ctf/metadata/index.ts';
import type { EventClass } from '../../ctf/trace-class.ts';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Metadata } from '../../stage/frames.ts';
import type { LineFormat } from '../line-format.ts';
import { StreamCode } from '../stream-code.ts';
import { type Trace, traceOf } from '../trace.ts';

/** See the file's head. Errors of all methods: MR_ERR_VIEW_INPUT, naming the trace. */
export class LiveTrace {
  readonly path: string;
  readonly #format: LineFormat;
  readonly #wants: (event: EventClass) => boolean;
  #pieces: Buffer[] = [];
  #sizeBytes = 0;
  #version = 0;
  #readBytes = 0;
  #beginsAnew = false;
  #trace: Trace | undefined;
  #codes = new Map<bigint, StreamCode>();

  constructor(path: string, format: LineFormat, wants: (event: EventClass) => boolean) {
    this.path = path;
    this.#format = format;
    this.#wants = wants;
  }

  /** Its stream goes over to another trace chunk, where all of the text is sent again. */
  restart(): void {
    this.#beginsAnew = true;
  }

  /** `bytes`: of the batch's slab; copied. A new version begins anew. */
  add({ version, paddingSizeBytes, last }: Metadata, bytes: Uint8Array): void {
    if (version !== this.#version || this.#beginsAnew) {
      this.#version = version;
      this.#beginsAnew = false;
      this.#pieces = [];
      this.#sizeBytes = 0;
      this.#readBytes = 0;
    }
    // Padding lies between the packets of the text.
    const padding = last ? paddingSizeBytes : 0;
    if (this.#sizeBytes + bytes.length + padding > limits.metadataBytes)
      throw this.#error(`more than ${limits.metadataBytes} bytes of metadata`);
    this.#pieces.push(Buffer.from(bytes), Buffer.alloc(padding));
    this.#sizeBytes += bytes.length + padding;
  }

  /** What all metadata so far says; undefined: there is none yet. */
  current(): Trace | undefined {
    if (this.#readBytes < this.#sizeBytes) {
      const text = Buffer.concat(this.#pieces);
      this.#pieces = [text];
      try {
        this.#trace = traceOf(readTraceClass(text), '');
      } catch (cause) {
        throw cause instanceof MillraceError ? this.#error(cause.message, cause) : cause;
      }
      this.#readBytes = this.#sizeBytes;
      this.#codes = new Map();
    }
    return this.#trace;
  }

  /** The code for packets of a stream class. Call `current` before. */
  code(streamClassId: bigint): StreamCode | undefined {
    const layout = this.#trace?.layouts.get(streamClassId);
    if (this.#trace === undefined || layout === undefined) return undefined;
    let code = this.#codes.get(streamClassId);
    if (code === undefined) {
      code = new StreamCode(this.#trace, layout, this.#format, this.#wants);
      this.#codes.set(streamClassId, code);
    }
    return code;
  }

  #error(why: string, cause?: unknown): MillraceError {
    return new MillraceError('MR_ERR_VIEW_INPUT', { path: `${this.path}/metadata`, why }, { cause });
  }
}
