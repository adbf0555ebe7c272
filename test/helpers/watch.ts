/** A live source at work, through the order stage: what it brought. */
import type { ExecutionContext } from 'ava';
import { liveSource } from '../../lib/relay/live-client/index.ts';
import type { LiveSourceOptions } from '../../lib/relay/live-client/options.ts';
import { compose, type Outcome } from '../../lib/stage/compose.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { order } from '../../lib/stage/order.ts';
import { frameSink, only, type Read } from './read-frames.ts';
import { until } from './relay.ts';
import { usualSession } from './requests.ts';

/** See the file's head; of the usual session, unless it is told another. */
export class Watch {
  readonly frames: Read[] = [];
  readonly outcome: Promise<Outcome>;

  constructor(
    t: ExecutionContext,
    options: Omit<LiveSourceOptions, 'hostname' | 'sessionName'> & { sessionName?: string },
  ) {
    const { hostname, sessionName } = usualSession;
    const pipe = compose([
      { name: 'live', stream: liveSource({ hostname, sessionName, ...options }) },
      { name: 'order', stream: order() },
      { name: 'sink', stream: frameSink((frame) => this.frames.push(frame)) },
    ]);
    this.outcome = pipe.outcome;
    t.teardown(() => pipe.abort());
  }

  /** The packets of each channel, by name: whole, in order. */
  get packets(): Record<string, Buffer[]> {
    const names = new Map(only(this.frames, 'streamOpen').map((open) => [open.stream, open.channelName]));
    const packets: Record<string, Buffer[]> = {};
    for (const { stream, offsetBytes, bytes = Buffer.alloc(0) } of only(this.frames, 'data')) {
      const name = names.get(stream) as string;
      packets[name] ??= [];
      const own = packets[name];
      if (offsetBytes === 0) own.push(bytes);
      else own.push(Buffer.concat([own.pop() as Buffer, bytes]));
    }
    return packets;
  }

  count<K extends Frame['kind']>(kind: K): number {
    return only(this.frames, kind).length;
  }

  async has(kind: Frame['kind'], count: number): Promise<void> {
    await until(
      () => this.count(kind) >= count,
      () => `${this.count(kind)} of ${count} ${kind}: ${this.frames.map((frame) => frame.kind).join(' ')}`,
    );
  }
}
