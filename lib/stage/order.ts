/**
 * The order stage: whatever frames come from outside (a capture, stdin, UDP, another relay) leave it as the grammar
 * says, or not at all. Packets are brought into the order of their numbers; a hole becomes `lost` once it cannot be
 * filled, which is when its stream or its session ends; a `sync` waits for the packets that it covers; what was left
 * open at the end is closed. What must wait keeps its slab, under the ceilings `orderHeldFrames`, `orderHeldSlabs`.
 */
import type { Duplex } from 'node:stream';
import { type Limits, limits } from '../limits.ts';
import { tell } from '../telemetry.ts';
import type { FrameBatch } from './batch.ts';
import type { Frame } from './frames.ts';
import { noteOddities } from './oddities.ts';
import { Packets } from './order/packets.ts';
import { Runs, Shelf } from './order/runs.ts';
import { Sessions } from './order/sessions.ts';
import { Streams } from './order/streams.ts';
import { objectStage } from './stage.ts';

/** `strict` refuses what real peers are forgiven (`oddities`); ceilings default to `limits`. */
export interface OrderOptions {
  strict?: boolean;
  ceilings?: Partial<Limits>;
}

/**
 * A stage over FrameBatch. Errors: MR_ERR_STAGE_ORDER for a frame that the grammar refuses, or when more would have
 * to wait than the ceilings allow.
 */
export function order(options: OrderOptions = {}): Duplex {
  const ceilings = { ...limits, ...options.ceilings };
  const runs = new Runs();
  const shelf = new Shelf(ceilings.orderHeldFrames, ceilings.orderHeldSlabs);
  const parts = { runs, shelf, note: noteOddities(options.strict ?? false), ceilings };
  const streams = new Streams(parts);
  const packets = new Packets(parts, streams);
  const sessions = new Sessions(parts, streams, packets);

  return objectStage<FrameBatch, FrameBatch>('order', {
    transform({ frames, slab }, push) {
      for (const frame of frames) take(frame, slab);
      runs.handOver(push);
      slab?.release();
    },
    flush(push) {
      for (const session of sessions.handles()) {
        tell('warn', 'stage:cut-short', 'the input ended before a session did', { session });
        sessions.take({ kind: 'sessionEnd', session, outcome: 'abort' });
      }
      runs.handOver(push);
    },
    destroyed() {
      runs.release();
      shelf.release();
    },
  });

  function take(frame: Frame, slab: FrameBatch['slab']): void {
    switch (frame.kind) {
      case 'data':
      case 'lost':
        sessions.settle(packets.take(frame, slab));
        break;
      case 'index':
        sessions.settle(packets.index(frame));
        break;
      case 'metadata':
        streams.metadata(frame, slab);
        break;
      case 'inactive':
        streams.inactive(frame);
        break;
      case 'switch':
        streams.switch(frame);
        break;
      default:
        sessions.take(frame);
    }
  }
}
