/**
 * The real programs that the interop tests run, and whether this machine has them. A missing one skips the
 * tests that need it, with one line saying why; under MILLRACE_REQUIRE_PEERS=1 it fails them.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the project: the compiled helpers lie four folders below it. */
export const projectRoot = fileURLToPath(new URL('../../../..', import.meta.url));

/** Whether a missing peer is a failure; never that of a 32-bit consumer on machines that cannot have one. */
export function peersRequired({ consumer32 = false } = {}): boolean {
  return process.env.MILLRACE_REQUIRE_PEERS === '1' && (!consumer32 || process.arch === 'x64');
}

const tracing = ['lttng', 'lttng-sessiond', 'lttng-relayd', 'babeltrace2', 'gcc', 'taskset'] as const;
const namespaces = ['unshare', 'nsenter', 'ip', 'mount', 'bash', 'hostname'] as const;

/** Why the real peers cannot be run here, in a few words; undefined when they can. */
export function missingPeers({ consumer32 = false } = {}): string | undefined {
  if (process.platform !== 'linux') return `worlds need Linux, this is ${process.platform}`;
  const missing = [...tracing, ...namespaces].filter((name) => !installed(name));
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  if (process.getuid?.() !== 0) return 'worlds need root (unshare)';
  if (!canUnshare()) return 'this system refuses new namespaces (unshare)';
  return consumer32 ? missingConsumer32() : undefined;
}

function missingConsumer32(): string | undefined {
  if (process.arch !== 'x64') return `the 32-bit consumer needs x64, this is ${process.arch}`;
  const folder = i386Folder();
  if (folder === undefined) return 'no 32-bit consumer daemon (.ci/setup-i386)';
  const loader = join(folder, 'lib/i386-linux-gnu/ld-linux.so.2');
  const { status } = spawnSync(loader, ['--version'], { stdio: 'ignore' });
  if (status === 0 || installed('qemu-i386')) return undefined;
  return 'this kernel refuses 32-bit programs, and there is no qemu-i386 (qemu-user)';
}

/** Why these programs cannot be run here, in a few words; undefined when they can. */
export function missingPrograms(names: readonly string[], { root = false } = {}): string | undefined {
  const missing = names.filter((name) => !installed(name));
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  if (root && process.getuid?.() !== 0) return 'needs root (unshare)';
  return root && !canUnshare() ? 'this system refuses new namespaces (unshare)' : undefined;
}

/** Where `.ci/setup-i386` unpacked the 32-bit consumer daemon; undefined where it did not. */
export function i386Folder(): string | undefined {
  const folder = process.env.PEERS_I386 ?? join(homedir(), '.cache/lttng-peers/i386');
  return existsSync(join(folder, '.complete')) ? folder : undefined;
}

function installed(name: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function canUnshare(): boolean {
  try {
    execFileSync('unshare', ['--mount', '--net', '--pid', '--uts', '--fork', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
