import { version, why } from '../../lib/index.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { type Configured, configure } from '../relay/configure.ts';
import { findLauncher, launchDaemon } from '../relay/daemon.ts';
import { relayOptionTable } from '../relay/option-table.ts';
import { runRelay } from '../relay/run.ts';

/** The relay daemon, with the options, variables, files and exit statuses of lttng-relayd. */
export const relay: Command = {
  name: 'relay',
  summary: 'run the relay daemon that LTTng streams into',
  help: () =>
    `usage: millrace relay [OPTION]...\n\n${helpText(relayOptionTable)}\nURL: tcp://HOST[:PORT], tcp4://HOST[:PORT] or tcp6://[ADDRESS]:PORT; port 0 is chosen by the system.\nOptions may stand in /etc/lttng/lttng.conf, $LTTNG_HOME/.lttng/lttng.conf and the file of --config as NAME=VALUE\nbelow [relayd]. The first SIGTERM or SIGINT ends the relay orderly, the second at once.\nExit status: 0 done, 1 failed.\n`,
  usageStatus: 1,
  run,
};

async function run(context: Context): Promise<number> {
  const configured = configure(context);
  const { instead } = configured.settings;
  if (instead !== undefined) {
    context.stdout.write(answers[instead]());
    return 0;
  }
  const launcher = findLauncher(context.env);
  if (launcher === undefined) return launchOrRun(context, configured);
  try {
    return await runRelay(context, configured, true, () => launcher.ready());
  } catch (error) {
    launcher.failed(why(error));
    return 1;
  }
}

const answers = {
  help: () => relay.help(),
  version: () => `${version}\n`,
  'list-options': () => relayOptionTable.map(({ name }) => `${name}\n`).join(''),
} as const;

async function launchOrRun(context: Context, configured: Configured): Promise<number> {
  const { daemonize, background, sigParent } = configured.settings;
  if (!daemonize && !background) return runRelay(context, configured, false, () => {});
  const reason = await launchDaemon(context, background);
  if (reason !== undefined) {
    context.stderr.write(`millrace: ${reason}\n`);
    return 1;
  }
  // The daemon's own parent is this process, which nobody wants to hear of.
  if (sigParent) context.kill(context.ppid, 'SIGUSR1');
  return 0;
}
