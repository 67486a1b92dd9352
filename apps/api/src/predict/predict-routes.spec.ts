import { predictRoute } from './predict-routes';

describe('predictRoute', () => {
  it.each([
    ['/predict', 'single', '/predict'],
    ['/v1/predict?x=1', 'single', '/v1/predict'],
    ['/predict/', 'single', '/predict'],
    ['/predict/batch', 'batch', '/predict/batch'],
    ['/v1/predict/batch/', 'batch', '/v1/predict/batch'],
    ['/v1/infer', 'infer', '/v1/infer'],
    ['/v1/infer#x', 'infer', '/v1/infer'],
    ['http://host:1/predict?a=/', 'single', '/predict'],
    ['HTTPS://host/predict/', 'single', '/predict'],
  ])('knows %s, again and again', (url, kind, pattern) => {
    expect(predictRoute(url)).toEqual({ kind, pattern });
    expect(predictRoute(url)).toEqual({ kind, pattern });
  });

  it('reads the model of the path, decoded once', () => {
    expect(predictRoute('/models/a%2525b/predict/')).toEqual({
      kind: 'model',
      pattern: '/models/{name}/predict',
      model: 'a%25b',
    });
    expect(predictRoute('/v1/models/momentum/predict?y')).toEqual({
      kind: 'model',
      pattern: '/v1/models/{name}/predict',
      model: 'momentum',
    });
  });

  it.each([
    '/',
    '/infer',
    '/v2/predict',
    '/predictx',
    '/models//predict',
    '/models/a/b/predict',
    '/models/%zz/predict',
    '/PREDICT',
    '//predict',
    '/predict//',
    'http://host',
    '*',
    '',
    '/__proto__',
    '/constructor',
  ])('leaves %s to the ordinary stack', (url) => expect(predictRoute(url)).toBeUndefined());

  it('forgets old targets before they fill the memory', () => {
    for (let i = 0; i < 2_500; i++) expect(predictRoute(`/models/m${i}/predict`)?.model).toBe(`m${i}`);
  });
});
