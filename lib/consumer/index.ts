/** The room's door. */
export { type DirectorySourceOptions, directorySource } from './directory-source.ts';
