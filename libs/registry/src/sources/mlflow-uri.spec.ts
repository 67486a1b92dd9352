import { parseMlflowUri } from './mlflow-uri';

describe('URIs of MLflow', () => {
  it.each([
    ['models:/churn/3', { kind: 'version', name: 'churn', version: '3' }],
    ['models:/churn@champion', { kind: 'alias', name: 'churn', alias: 'champion' }],
    ['models:/a@b@champion', { kind: 'alias', name: 'a@b', alias: 'champion' }],
    ['models:/churn/Production', { kind: 'stage', name: 'churn', stage: 'Production' }],
    ['models:/churn/LATEST', { kind: 'latest', name: 'churn' }],
    ['models:/my%20model/3', { kind: 'version', name: 'my model', version: '3' }],
    ['models:/m-0123abc', { kind: 'logged', id: 'm-0123abc' }],
    ['runs:/0123abc/model', { kind: 'run', id: '0123abc', path: 'model' }],
    ['runs:/0123abc/a/b', { kind: 'run', id: '0123abc', path: 'a/b' }],
  ])('%s is read as MLflow reads it', (uri, expected) => {
    expect(parseMlflowUri(uri, '/source_uri')).toEqual(expected);
  });

  it.each([
    'models:',
    'models:/',
    'models:/churn',
    'models:/churn@',
    'models:/@champion',
    'models:/churn/3/sub',
    'models:/../3',
    'models:/churn/..',
    'models:/a%2Fb/3',
    'models:/churn%00/3',
    'models:/churn/%zz',
    'runs:/0123abc',
    'runs:/0123abc/../../etc',
    'runs:/01 23/model',
    'runs:/0123abc/%2e%2e/x',
  ])('%s is refused', (uri) => {
    expect(() => parseMlflowUri(uri, '/source_uri')).toThrow('not one that MLflow knows');
  });
});
