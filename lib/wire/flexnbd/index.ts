export * from './address.ts';
export * from './control.ts';
