/**
 * AVA's test for files that run relays: one after the other, because what a process tells and which descriptors it
 * has open are facts of the whole process.
 */
import ava from 'ava';

export const test = ava.serial;
