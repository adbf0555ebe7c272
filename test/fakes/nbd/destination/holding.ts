import { type Request, reply } from '../bytes.ts';
import type { Sin } from '../destination.ts';

/** Withholds the replies that `isHeld` names until `release` is called; then it holds nothing any more. */
export function holding(isHeld: (request: Request) => boolean = () => true): {
  sin: Sin;
  release(): void;
  readonly held: number;
} {
  let free = false;
  let held: Array<() => void> = [];
  return {
    sin: {
      reply(peer, request) {
        const answer = (): void => peer.write(reply(request.cookie));
        if (free || !isHeld(request)) answer();
        else held.push(answer);
      },
    },
    release() {
      free = true;
      for (const answer of held) answer();
      held = [];
    },
    get held() {
      return held.length;
    },
  };
}
