/** The inner door of what views are filtered by. */
export { globOf } from '../stage/glob.ts';
export { type Condition, conditionOf } from './filter.ts';
