import { describeHistories } from '../testing/point-in-time';

describeHistories('event_time');
