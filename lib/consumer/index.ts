/** The room's door. */
export { Consumer, type ConsumerOptions, type ConsumerStatus } from './consumer.ts';
export { type DirectorySourceOptions, directorySource } from './directory-source.ts';
