/** Events as babeltrace2 prints them, one a line. Source: ctf, "Text output". */
import type { MakeEmitter } from '../../ctf/decode/emitter.ts';
import type { EventClass } from '../../ctf/trace-class.ts';
import type { EventTime, LineFormat, StreamFacts } from '../line-format.ts';
import { writeNano, writeText, writeUnsigned } from './digits.ts';
import { eventHead } from './event-head.ts';
import { type Paint, paintOf, type TextStyle } from './style.ts';
import type { TextBuffer } from './text-buffer.ts';
import { TextEmitter } from './text-emitter.ts';
import { type TimeText, writeCycles } from './time-text.ts';

export class TextFormat implements LineFormat {
  readonly style: TextStyle;
  readonly time: TimeText;
  readonly #paint: Paint;
  readonly #open: string;
  readonly #close: string;
  readonly #deltaOpen: string;
  readonly #deltaClose: string;
  /** The event printed before. */
  #hasLast = false;
  #seconds = Number.NaN;
  #nanos = Number.NaN;
  #clockHigh = Number.NaN;
  #clockLow = Number.NaN;

  constructor(style: TextStyle, time: TimeText) {
    this.style = style;
    this.time = time;
    this.#paint = paintOf(style);
    const { headerName, time: paint, reset } = this.#paint;
    const isNamed = style.names.header;
    this.#open = isNamed ? `${headerName}timestamp${reset} = ${paint}` : `[${paint}`;
    this.#close = isNamed ? reset : `${reset}] `;
    this.#deltaOpen = isNamed ? `, ${headerName}delta${reset} = +` : '(+';
    this.#deltaClose = isNamed ? '' : ') ';
  }

  packet(): MakeEmitter {
    const parts = { head: '', tail: '', hasPacketText: false };
    return (code) => new TextEmitter(code, this.style, parts);
  }

  body(facts: StreamFacts, event: EventClass): MakeEmitter {
    const head = eventHead(facts, event, this.style);
    const parts = { head, tail: '\n', hasPacketText: facts.hasPacketText };
    return (code) => new TextEmitter(code, this.style, parts);
  }

  prefix(out: TextBuffer, event: EventTime): void {
    if (!event.hasClock) return;
    if (out.at > out.mark) out.grow(out.at);
    const u = out.bytes;
    const { style } = this;
    let n = writeText(u, out.at, this.#open);
    const isCycles = style.clock.form === 'cycles';
    n = isCycles ? writeCycles(u, n, event.clockHigh, event.clockLow, 20) : this.time.write(u, n, event);
    n = writeText(u, n, this.#close);
    if (style.delta) {
      n = writeText(u, n, this.#deltaOpen);
      if (!this.#hasLast) n = writeText(u, n, isCycles ? '????????????' : '?.?????????');
      else if (isCycles) n = this.#cyclesSince(u, n, event);
      else n = this.#timeSince(u, n, event);
      n = writeText(u, n, this.#deltaClose);
    }
    this.#hasLast = true;
    this.#seconds = event.seconds;
    this.#nanos = event.nanos;
    this.#clockHigh = event.clockHigh;
    this.#clockLow = event.clockLow;
    out.at = n;
  }

  #timeSince(u: Uint8Array, n: number, { seconds, nanos }: EventTime): number {
    const nano = nanos - this.#nanos;
    // Not a branch: what is done only where a second ends would have this compiled anew at the first one.
    const borrowed = nano < 0 ? 1 : 0;
    const whole = seconds - this.#seconds - borrowed;
    const rest = nano + borrowed * 1_000_000_000;
    if (whole < 0 || whole > 4_294_967_295) return writeNano(u, writeText(u, n, `${whole}.`), rest);
    const at = writeUnsigned(u, n, whole);
    u[at] = 46;
    return writeNano(u, at + 1, rest);
  }

  #cyclesSince(u: Uint8Array, n: number, { clockHigh, clockLow }: EventTime): number {
    const low = clockLow - this.#clockLow;
    const high = clockHigh - this.#clockHigh - (low < 0 ? 1 : 0);
    return writeCycles(u, n, high >>> 0, low >>> 0, 12);
  }
}
