import test from 'ava';
import { registerScenarios } from './helpers/alike.ts';
import { sessions } from './scenarios/sessions.ts';

registerScenarios(test, sessions);
