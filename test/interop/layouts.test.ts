import test from 'ava';
import { registerScenarios } from './helpers/alike.ts';
import { layouts } from './scenarios/layouts.ts';

registerScenarios(test, layouts);
