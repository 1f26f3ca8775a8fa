import json

from consul.base import CB
from scenario import connect, meanwhile, raised, tell

client = connect()
catalog, health = client.catalog, client.health


def register(service_id, status):
    return catalog.register(
        'py-node', '10.0.0.5',
        service={'service': 'py-db', 'id': service_id, 'tags': ['main'], 'port': 5432},
        check={'node': 'py-node', 'name': service_id, 'checkid': service_id, 'serviceid': service_id,
               'status': status})


def statuses(answer):
    return [[check['Status'] for check in one['Checks']] for one in answer[1]]


results = {'datacenters': catalog.datacenters()}
index = health.service('py-db')[0]
woken = meanwhile(lambda: health.service('py-db', index=index, wait='20s'), lambda: register('db-1', 'passing'))
results['came'] = [int(woken[0]) > int(index), statuses(woken)]
index = woken[0]
woken = meanwhile(lambda: health.service('py-db', index=index, wait='20s'), lambda: register('db-1', 'critical'))
results['failed'] = [int(woken[0]) > int(index), statuses(woken)]
results['same index'] = health.service('py-db', index=woken[0], wait='10ms')[0] == woken[0]
results['passing'] = health.service('py-db', passing=True)[1]
results['tagged'] = [len(health.service('py-db', tag=tag)[1]) for tag in ('main', 'other')]
results['services'] = catalog.services()[1]['py-db']
results['service'] = [one['ServicePort'] for one in catalog.service('py-db')[1]]
results['nodes'] = sorted(node['Node'] for node in catalog.nodes()[1])
results['node'] = sorted(catalog.node('py-node')[1]['Services'])
results['unknown node'] = catalog.node('nobody')[1]
results['checks'] = [check['CheckID'] for check in health.checks('py-db')[1]]
results['state'] = [check['CheckID'] for check in health.state('critical')[1]]
results['health of the node'] = [check['Status'] for check in health.node('py-node')[1]]
results['modes'] = [len(catalog.nodes(consistency=mode)[1]) for mode in ('default', 'stale', 'consistent')]

index = catalog.services()[0]
woken = meanwhile(lambda: catalog.services(index=index, wait='20s'), lambda: catalog.deregister('py-node'))
results['gone'] = [int(woken[0]) > int(index), 'py-db' in woken[1]]
results['register without an address'] = raised(lambda: catalog.register('x', ''))


def txn(*operations):
    return client.http.put(CB.json(), '/v1/txn', data=json.dumps(operations))


done = txn({'KV': {'Verb': 'set', 'Key': 'py/a', 'Value': 'YQ==', 'Flags': 2 ** 64 - 1}},
           {'KV': {'Verb': 'get', 'Key': 'py/a'}})
results['txn'] = [done['Errors'], done['Results'][0]['KV']['Value'], done['Results'][1]['KV']['Value'],
                  done['Results'][1]['KV']['Flags'] == 2 ** 64 - 1]
failed = txn({'KV': {'Verb': 'check-not-exists', 'Key': 'py/a'}}, {'KV': {'Verb': 'delete', 'Key': 'py/a'}})
results['txn that fails'] = failed
results['still there'] = client.kv.get('py/a')[1]['Value']

fired = client.event.fire('py-event', 'payload')
index, events = client.event.list('py-event')
while not events:
    index, events = client.event.list('py-event', index=index, wait='5s')
results['event'] = [events[0]['ID'] == fired['ID'], events[0]['Payload']]
tell(results)
