export { FakeRuntime, type FakeModel } from './testing/fake-runtime';
export { describeModelRuntime, type ModelRuntimeFixture } from './testing/describe-model-runtime';
export { builtRunner, startTestRuntime, QUIET_LOG, type TestRuntime } from './testing/test-runtime';
