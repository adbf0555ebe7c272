/** A process that must do without koffi: uses an image in every way, and reports. */
import { readFileSync } from 'node:fs';
import { Image } from '../../lib/disk/image.ts';
import type { MillraceError } from '../../lib/errors.ts';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

const told: string[] = [];
toldChannel.subscribe((message) => told.push((message as Told).event));
const mib = 1024 * 1024;
const path = process.argv[2] as string;
const image = new Image(path, { createBytes: mib });
await image.mapped;
const model = Buffer.alloc(mib);
const bytes = Buffer.alloc(100_000, 7);
await image.write(bytes, 0, bytes.length, 1000);
bytes.copy(model, 1000);
await image.zero(2000, 70_000);
await image.trim(3000, 4096);
model.fill(0, 2000, 72_000);
const fast = await image
  .zero(0, 4096, { fast: true })
  .catch((error: unknown) => (error as MillraceError).code);
await image.flush();
const back = Buffer.alloc(mib);
await image.read(back, 0, mib, 0);
const same = back.equals(model) && readFileSync(path).equals(model);
const extents = await image.extents(0, mib, 10);
const { state } = image.allocationMap;
await image.close();
process.send?.({ same, state, extents, fast, told }, () => process.exit());
