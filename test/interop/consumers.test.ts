import test from 'ava';
import { registerScenarios } from './helpers/alike.ts';
import { consumers } from './scenarios/consumers.ts';

registerScenarios(test, consumers);
