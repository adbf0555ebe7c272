/** SEND_METADATA, RESET_METADATA. */
import { id, struct, u32, u64 } from '../../schema/index.ts';

/** The head only: the text is the rest of the payload and is passed on in parts, as it comes. */
export const sendMetadata = struct('sendMetadata', [
  ['streamId', id('stream'), 'relay handle'],
  ['paddingSizeBytes', u32, 'bytes', 'zeros to append behind the text, not transmitted'],
]);

export const resetMetadata = struct('resetMetadata', [
  ['streamId', id('stream'), 'relay handle'],
  ['version', u64, 'regenerations', '1 for the first'],
]);
