/** Sockets that a service manager has opened for us. Source: sd_listen_fds(3). */

/** The first descriptor of those that are handed over. */
const firstFd = 3;

/**
 * Descriptors of listening sockets from `LISTEN_FDS`, if `LISTEN_PID` says that they are for this process; none where
 * not. The variables stay: they are not for children of another process id anyway.
 */
export function inheritedSockets(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): { fd: number }[] {
  const count = Number(env.LISTEN_FDS ?? 0);
  if (Number(env.LISTEN_PID) !== pid || !Number.isInteger(count) || count < 0 || count > 1024) return [];
  return Array.from({ length: count }, (_, i) => ({ fd: firstFd + i }));
}
