/** A line of JSON, parsed. */

/**
 * A field. Integers whose type has more than 53 bits are strings of decimal digits, all others numbers; floating point
 * numbers that JSON lacks are "NaN", "Infinity" and "-Infinity"; a variant is the value of its option; an optional field
 * that is not there is null.
 */
export type JsonField =
  | number
  | string
  | boolean
  | null
  | { value: number | string; labels: string[] }
  | JsonField[]
  | { [name: string]: JsonField };

export type JsonStruct = { [name: string]: JsonField };

/** An event. Properties stand in this order; those that are not known are left out. */
export interface JsonEvent {
  /** Seconds since the clock's origin with nine decimals. */
  time?: string;
  /** The clock's value. */
  cycles?: string;
  trace?: string;
  uuid?: string;
  hostname?: string;
  domain?: string;
  procname?: string;
  vpid?: number;
  /** Ids of the classes in the metadata. */
  streamClass: number;
  event: string;
  eventClass: number;
  /** 0 (emergency) to 14 (debug). */
  logLevel?: number;
  emfUri?: string;
  packetContext?: JsonStruct;
  streamContext?: JsonStruct;
  context?: JsonStruct;
  payload?: JsonStruct;
}
