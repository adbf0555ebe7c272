/**
 * A stage that lets some sessions and streams pass and drops the others, with all that is said of them. Metadata
 * streams of a session that passes pass with it: without them nothing of it can be read.
 */
import type { Duplex } from 'node:stream';
import { type FrameBatch, releaseBatch } from './batch.ts';
import type { Frame, SessionOpen, StreamOpen } from './frames.ts';
import { globOf } from './glob.ts';
import { objectStage } from './stage.ts';

/** Who passes; absent: all. */
export interface Selection {
  session?: (open: SessionOpen) => boolean;
  /** Asked for data streams. */
  stream?: (open: StreamOpen) => boolean;
}

/** A stage over FrameBatch. What it drops frees its slab at once, where nothing else lies in it. */
export function select({ session: wanted, stream: wantedStream }: Selection): Duplex {
  /** Sessions and streams that do not pass, while they are open; streams with their session. */
  const sessions = new Set<number>();
  const streams = new Map<number, number>();

  return objectStage<FrameBatch, FrameBatch>('select', {
    transform(batch, push) {
      const frames = batch.frames.filter(passes).map(withoutDropped);
      if (frames.length === 0) releaseBatch(batch);
      else push({ ...batch, frames });
    },
  });

  function passes(frame: Frame): boolean {
    switch (frame.kind) {
      case 'sessionOpen':
        if (wanted?.(frame) ?? true) return true;
        sessions.add(frame.session);
        return false;
      case 'sessionEnd':
        for (const [stream, session] of streams) if (session === frame.session) streams.delete(stream);
        return !sessions.delete(frame.session);
      case 'streamOpen': {
        const isWanted = frame.channelName === 'metadata' || (wantedStream?.(frame) ?? true);
        if (isWanted && !sessions.has(frame.session)) return true;
        streams.set(frame.stream, frame.session);
        return false;
      }
      case 'streamEnd':
        return !streams.delete(frame.stream);
      default:
        if ('session' in frame && sessions.has(frame.session)) return false;
        return !('stream' in frame && streams.has(frame.stream));
    }
  }

  /** A beacon speaks of the streams that are left. */
  function withoutDropped(frame: Frame): Frame {
    if (frame.kind !== 'sync') return frame;
    return { ...frame, safe: frame.safe.filter(({ stream }) => !streams.has(stream)) };
  }
}

/** A predicate on names: it passes those that one of the patterns fits whole; all, where there are no patterns. */
export function nameMatcher(patterns: readonly string[]): (name: string) => boolean {
  const fits = patterns.map(globOf);
  return (name) => fits.length === 0 || fits.some((each) => each(name));
}
