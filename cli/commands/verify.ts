import { resolve } from 'node:path';
import { loadVerify, type VerifyOptions, type VerifyReport } from '../../lib/index.ts';
import { helpOption, jsonOption, section } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseOptions } from '../options.ts';
import { usageError } from '../usage.ts';
import { formatOutcomes, formatPlan, formatReport, toJson } from '../verify/format.ts';

interface VerifySettings {
  help: boolean;
  json: boolean;
  repair: boolean;
}

const optionTable: readonly Option<VerifySettings>[] = [
  jsonOption(
    'Print what was found as JSON, one object a line; with --repair a second one for what was done.',
  ),
  {
    name: 'repair',
    section,
    help: 'Cut torn tails, make faulty indexes anew from the data and remove temporary files, after saying so. Every packet that can be read stays. Files that a program holds locks on are left alone; lttng-relayd holds none, so do not repair what it is writing.',
    set: (settings, on) => {
      settings.repair = on;
    },
  },
  helpOption(),
];

/** Checks what is stored, and mends it. */
export const verify: Command = {
  name: 'verify',
  summary: 'check stored traces, and repair them',
  help: () =>
    `usage: millrace verify [OPTION]... DIR\n\nDIR is a trace, or any directory above some: a chunk, a session, all output of a relay.\n\n${helpText(optionTable)}\nExit status: 0 clean, 1 faults found, or left by --repair, 2 wrong usage.\n`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings: VerifySettings = { help: false, json: false, repair: false };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(verify.help());
    return 0;
  }
  const [operand, ...more] = operands;
  if (operand === undefined || more.length > 0) throw usageError('one DIR is needed');
  const interrupted = new AbortController();
  const forget = (['SIGINT', 'SIGTERM'] as const).map((name) =>
    context.onSignal(name, () => interrupted.abort(new Error(`ended by ${name}`))),
  );
  try {
    const report = await check(context, settings, resolve(context.cwd, operand), {
      signal: interrupted.signal,
    });
    return report.clean ? 0 : 1;
  } finally {
    for (const each of forget) each();
  }
}

/** Checks, repairs where that is asked for, and tells; resolves to the state in which the directory was left. */
async function check(
  context: Context,
  settings: VerifySettings,
  directory: string,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const { json, repair } = settings;
  const { planRepair, repairStore, verifyStore } = await loadVerify();
  const report = await verifyStore(directory, options);
  const plan = repair ? planRepair(report) : undefined;
  context.stdout.write(
    json
      ? toJson({ ...report, plan })
      : `${formatReport(report)}${plan === undefined ? '' : formatPlan(plan)}`,
  );
  if (plan === undefined || plan.length === 0) return report;
  const outcomes = await repairStore(directory, plan, options);
  const after = await verifyStore(directory, options);
  context.stdout.write(
    json ? toJson({ ...after, outcomes }) : `${formatOutcomes(outcomes)}\n${formatReport(after)}`,
  );
  return after;
}
