import { notifyManager, tell } from '../../lib/index.ts';
import type { Context } from '../context.ts';

/** Tells the service manager, where there is one, that the relay listens and that it ends. Source: sd_notify(3). */
export function readiness({ env, pid }: Pick<Context, 'env' | 'pid'>): {
  ready(): void;
  stopping(): void;
} {
  const address = env.NOTIFY_SOCKET;
  const notify = (...lines: string[]): void => {
    if (!address) return;
    const reason = notifyManager(address, lines);
    if (reason === undefined) return;
    tell('warn', 'cli:not-notified', `the service manager was not told ${lines[0]}: ${reason}`, { reason });
  };
  return { ready: () => notify('READY=1', `MAINPID=${pid}`), stopping: () => notify('STOPPING=1') };
}
