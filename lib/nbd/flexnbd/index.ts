/** flexnbd, as a program knows it: its modes and its control socket. */

export { NbdProxy } from '../proxy/proxy.ts';
export * from './commands.ts';
export * from './control-client.ts';
export * from './control-server.ts';
export * from './listen.ts';
export * from './request.ts';
export * from './serve.ts';
