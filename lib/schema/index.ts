/** The room's door: declare layouts with these. */
export { narrow } from './narrow.ts';
export { neededBytes } from './size.ts';
export { struct } from './struct.ts';
export {
  bytes,
  constant,
  type Field,
  fixedString,
  flag,
  i64,
  id,
  list,
  optional,
  optionalString,
  padding,
  rest,
  type Shape,
  type Struct,
  sizedString,
  type Type,
  text,
  u8,
  u16,
  u32,
  u64,
  type Value,
  type ValueOf,
} from './types.ts';
