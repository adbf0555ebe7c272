import test from 'ava';
import { registerScenarios } from './helpers/alike.ts';
import { faults } from './scenarios/faults.ts';

registerScenarios(test, faults);
