import json

from consul.base import CB
from scenario import connect, meanwhile, raised, tell

client = connect()
kv = client.kv


def patroni(ttl, lock_delay='0.001s'):
    """Creates a session with the body that Patroni sends."""
    body = {'name': 'cluster-member', 'checks': [], 'lockdelay': lock_delay, 'ttl': ttl, 'behavior': 'delete'}
    return client.http.put(CB.json(is_id=True), '/v1/session/create', data=json.dumps(body))


results = {}
first = patroni('15.0s')
second = client.session.create('second', ttl=15.0, lock_delay=0.001, behavior='delete')
index, info = client.session.info(first)
results['info'] = {name: info[name] for name in ('Name', 'Node', 'LockDelay', 'Behavior', 'TTL')}
results['other info'] = client.session.info(second)[1]['TTL']
results['list'] = sorted(one['Name'] for one in client.session.list()[1])
results['of the node'] = len(client.session.node('agent-one')[1])
renewed = client.session.renew(first)
results['renew'] = renewed['ID'] == first if isinstance(renewed, dict) else renewed[0]['ID'] == first

results['acquire'] = [
    kv.put('service/leader', 'first', acquire=first),
    kv.put('service/leader', 'second', acquire=second),
    kv.put('service/leader', 'first again', acquire=first),
]
entry = kv.get('service/leader')[1]
results['held'] = [entry['Session'] == first, entry['LockIndex'], entry['Value']]
results['release'] = [kv.put('service/leader', '', release=second), kv.put('service/leader', '', release=first)]
results['released'] = 'Session' in kv.get('service/leader')[1]

results['acquire again'] = kv.put('service/leader', 'first', acquire=first)
index, entry = kv.get('service/leader')
waited, gone = meanwhile(
    lambda: kv.get('service/leader', index=entry['ModifyIndex'], wait='20s'),
    lambda: client.session.destroy(first),
)
results['gone with its session'] = [gone, int(waited) > int(index)]
results['gone session'] = client.session.info(first)[1]
results['renew of a gone session'] = raised(lambda: client.session.renew(first))
results['acquire with a gone session'] = raised(lambda: kv.put('other/leader', 'x', acquire=first))
results['TTL that is too short'] = raised(lambda: patroni('5.0s'))
results['TTL that is none'] = raised(lambda: patroni('soon'))
results['destroy'] = [client.session.destroy(second), client.session.destroy(second)]
results['none left'] = client.session.list()[1]
tell(results)
