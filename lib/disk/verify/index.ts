/** The door of checking and mending stored traces; loaded when it is asked for. */
export {
  planRepair,
  type RepairOutcome,
  type RepairStep,
  repairStore,
} from './repair.ts';
export type {
  Fault,
  FaultCode,
  FileReport,
  StreamReport,
  TraceReport,
  VerifyReport,
} from './report.ts';
export { type VerifyOptions, verifyStore } from './verify.ts';
