/** The room's door for who embeds a relay. */
export { createRelay } from './server.ts';
