/** A script that is run once into lttng-relayd and once into millrace; both must leave the same. */
import type { Scene } from '../helpers/scene.ts';

export interface Scenario {
  /** Completes the sentence "… ends the same". */
  name: string;
  /** More options of the relay. */
  relayArgs?: readonly string[];
  /** Trace 32-bit programs as well, so that two consumer daemons stream into the relay. */
  consumer32?: boolean;
  /** Set where time decides how many packets there are, not the fill level: then sizes are not compared. */
  timed?: true;
  /** Why lttng-relayd cannot do it: then only millrace runs it, and is held against `script`'s result alone. */
  beyond?: string;
  /** Acts, and resolves with the events that must be readable afterwards, each as often as it was recorded. */
  script: (scene: Scene) => Promise<readonly string[]>;
}
