/** Runs a scenario into two relays and compares what they leave. */
import type { ExecutionContext, TestFn } from 'ava';
import type { Scenario } from '../scenarios/scenario.ts';
import { type Outcome, readOutcome } from './outcome.ts';
import { missingPeers, peersRequired } from './peers.ts';
import type { RelayKind } from './relay.ts';
import { Scene } from './scene.ts';

/** What one side did: the outcome on disk, lttng's answers, and how the relay ended. */
export interface Run extends Outcome {
  answers: string[];
  relayEnd: string;
  /** The relay's standard error, to be shown when the test fails. */
  relaySaid: string;
  expectedEvents: readonly string[];
}

/** Runs one scenario into one relay. */
export async function runScenario(
  t: Pick<ExecutionContext, 'teardown'>,
  scenario: Scenario,
  kind: RelayKind,
): Promise<Run> {
  const scene = await Scene.open(t, kind, scenario);
  const expectedEvents = await scenario.script(scene);
  await scene.endProducers();
  const relayEnd = await scene.relay.stop();
  const outcome = await readOutcome(scene.world, scene.relay.outputPath, scenario.timed !== true);
  return { ...outcome, answers: scene.answers, relayEnd, relaySaid: scene.relay.errorText, expectedEvents };
}

/** The relay that is held against lttng-relayd; MILLRACE_INTEROP_RELAY=lttng-relayd tests the tests. */
const candidate: RelayKind =
  process.env.MILLRACE_INTEROP_RELAY === 'lttng-relayd' ? 'lttng-relayd' : 'millrace';

/** Registers one test for each scenario. */
export function registerScenarios(test: TestFn, scenarios: readonly Scenario[]): void {
  for (const scenario of scenarios) {
    const missing = missingPeers(scenario);
    const title =
      scenario.beyond === undefined
        ? `${scenario.name} leaves in ${candidate} what it leaves in lttng-relayd`
        : `${scenario.name} leaves in millrace what was emitted (${scenario.beyond})`;
    if (scenario.beyond !== undefined && candidate !== 'millrace') continue;
    if (missing === undefined) test.serial(title, (t) => run(t, scenario));
    else if (peersRequired(scenario)) test(title, (t) => t.fail(missing));
    else test.skip(`${title} (${missing})`, () => {});
  }
}

async function run(t: ExecutionContext, scenario: Scenario): Promise<void> {
  t.timeout(90_000);
  if (scenario.beyond !== undefined) {
    sound(t, await runScenario(t, scenario, 'millrace'));
    return;
  }
  const [theirs, ours] = await Promise.all([
    runScenario(t, scenario, 'lttng-relayd'),
    runScenario(t, scenario, candidate),
  ]);
  sound(t, theirs);
  sound(t, ours);
  same(t, 'answers of lttng', ours.answers, theirs.answers, ours);
  same(t, 'files and folders', ours.tree, theirs.tree, ours);
  same(t, 'packets', ours.packets, theirs.packets);
  same(t, 'events', eventsOf(ours), eventsOf(theirs));
  same(t, 'metadata', metadataOf(ours), metadataOf(theirs));
  t.is(ours.relayEnd, theirs.relayEnd, 'end of the relay');
}

/** What holds for every relay: index records tell what packets tell, and every event is readable. */
function sound(t: ExecutionContext, run: Run): void {
  same(t, 'faults of index files', run.faults, [], run);
  same(t, 'events read', eventsOf(run).sort(), [...run.expectedEvents].sort(), run);
}

function eventsOf(run: Pick<Run, 'traces'>): string[] {
  return run.traces.flatMap(({ events }) => events);
}

function metadataOf(run: Run): string[] {
  return run.traces.flatMap(({ path, readStatus, metadata }) => [
    `${path}: babeltrace2 ends with ${readStatus}`,
    ...metadata.split('\n'),
  ]);
}

/** Long lists are equal, or the test shows where they part, and what the programs of `run` complained of. */
function same(
  t: ExecutionContext,
  what: string,
  got: readonly string[],
  expected: readonly string[],
  run?: Run,
): void {
  const length = Math.max(got.length, expected.length);
  const n = Array.from({ length }).findIndex((_, i) => got[i] !== expected[i]);
  if (n < 0) {
    t.pass();
    return;
  }
  t.log(`${what}: ${got.length} lines for ${expected.length}, line ${n + 1} is the first that differs`);
  if (run !== undefined) {
    t.log(`the relay said: ${lastLines(run.relaySaid)}`);
    for (const { path, complaint } of run.traces) if (complaint) t.log(`${path}: ${lastLines(complaint)}`);
  }
  const near = (list: readonly string[]) =>
    list.slice(Math.max(n - 2, 0), n + 4).map((line) => line.slice(0, 400));
  t.deepEqual(near(got), near(expected), what);
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-8).join('\n');
}
