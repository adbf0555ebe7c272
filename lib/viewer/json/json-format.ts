/** Events as JSON, one object a line. The form is documented in docs/view.md and typed in `json-event.ts`. */
import type { MakeEmitter } from '../../ctf/decode/emitter.ts';
import { type EventClass, uuidText } from '../../ctf/trace-class.ts';
import type { EventTime, LineFormat, StreamFacts } from '../line-format.ts';
import { writeNano, writeText, writeUnsigned64 } from '../text/digits.ts';
import type { TextBuffer } from '../text/text-buffer.ts';
import { JsonEmitter, jsonText } from './json-emitter.ts';

export class JsonFormat implements LineFormat {
  packet(): MakeEmitter {
    return (code) => new JsonEmitter(code, { head: '', tail: '', hasPacketText: false });
  }

  body({ trace, hasClock, hasPacketText, streamClassId }: StreamFacts, event: EventClass): MakeEmitter {
    const { environment, uuid } = trace.class;
    const fact = (name: string) => {
      const value = environment.get(name);
      return typeof value === 'bigint' ? Number(value) : value;
    };
    const facts: readonly (readonly [string, string | number | undefined])[] = [
      ['trace', trace.name],
      ['uuid', uuid && uuidText(uuid)],
      ['hostname', fact('hostname')],
      ['domain', fact('domain')],
      ['procname', fact('procname')],
      ['vpid', fact('vpid')],
      ['streamClass', Number(streamClassId)],
      ['event', event.name],
      ['eventClass', Number(event.id)],
      ['logLevel', event.logLevel],
      ['emfUri', event.emfUri],
    ];
    const head = facts
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `"${name}":${typeof value === 'number' ? value : jsonText(String(value))}`)
      .join(',');
    const parts = { head: `${hasClock ? ',' : '{'}${head}`, tail: '}\n', hasPacketText };
    return (code) => new JsonEmitter(code, parts);
  }

  prefix(out: TextBuffer, { hasClock, seconds, nanos, clockHigh, clockLow }: EventTime): void {
    if (!hasClock) return;
    if (out.at > out.mark) out.grow(out.at);
    const u = out.bytes;
    // Before the origin: the sign, then the size of both parts together.
    const isBefore = seconds < 0;
    const whole = isBefore ? (nanos === 0 ? -seconds : -seconds - 1) : seconds;
    const rest = isBefore && nanos !== 0 ? 1_000_000_000 - nanos : nanos;
    let n = writeText(u, out.at, isBefore ? '{"time":"-' : '{"time":"');
    n = writeUnsigned64(u, n, Math.floor(whole / 4_294_967_296), whole >>> 0);
    u[n] = 46;
    n = writeNano(u, n + 1, rest);
    n = writeText(u, n, '","cycles":"');
    n = writeUnsigned64(u, n, clockHigh, clockLow);
    out.at = writeText(u, n, '"');
  }
}
