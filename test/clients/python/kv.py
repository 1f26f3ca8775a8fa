from scenario import connect, meanwhile, raised, tell

client = connect()
kv = client.kv

results = {
    'missing': [int(kv.get('app/missing')[0]) > 0, kv.get('app/missing')[1]],
    'put': [
        kv.put('app/a', 'one'),
        kv.put('app/b/c', b'\x00\xff', flags=2 ** 64 - 1),
        kv.put('app/b/d', None),
        kv.put('app/key with space', 'ü'.encode('utf-8')),
    ],
}
index, entry = kv.get('app/a')
results['get'] = [index == str(entry['ModifyIndex']), entry['Key'], entry['Value'], entry['Flags'], entry['LockIndex']]
results['flags'] = kv.get('app/b/c')[1]['Flags'] == 2 ** 64 - 1
results['bytes'] = kv.get('app/b/c')[1]['Value'] == b'\x00\xff'
results['directory'] = kv.get('app/b/d')[1]['Value']
results['space'] = kv.get('app/key with space')[1]['Value'].decode('utf-8')
results['recurse'] = [entry['Key'] for entry in kv.get('app/', recurse=True)[1]]
results['keys'] = kv.get('app/', keys=True)[1]
results['separator'] = kv.get('app/', keys=True, separator='/')[1]
results['missing tree'] = kv.get('nothing/', recurse=True)[1]
results['stale'] = kv.get('app/a', consistency='stale')[1]['Value']
results['consistent'] = kv.get('app/a', consistency='consistent')[1]['Value']

modified = kv.get('app/a')[1]['ModifyIndex']
results['cas'] = [
    kv.put('app/a', 'two', cas=0),
    kv.put('app/a', 'two', cas=modified + 1),
    kv.put('app/a', 'two', cas=modified),
    kv.put('app/a', 'three', cas=modified),
    kv.delete('app/a', cas=modified),
    kv.put('app/new', 'x', cas=0),
]
results['bad cas'] = raised(lambda: kv.put('app/a', 'x', cas='abc'))

index = kv.get('app/a')[0]
waited, entry = meanwhile(lambda: kv.get('app/a', index=index, wait='20s'), lambda: kv.put('app/a', 'woken'))
results['wait'] = [int(waited) > int(index), waited == str(entry['ModifyIndex']), entry['Value']]
waited, entry = kv.get('app/a', index=waited, wait='10ms')
results['wait in vain'] = [waited == str(entry['ModifyIndex']), entry['Value']]
results['wait without unit'] = raised(lambda: kv.get('app/a', index=index, wait='10'))
index = kv.get('app/appears')[0]
waited, entry = meanwhile(lambda: kv.get('app/appears', index=index, wait='20s'), lambda: kv.put('app/appears', 'x'))
results['wait for a key'] = [int(waited) > int(index), entry['Value']]
waited, entry = meanwhile(lambda: kv.get('app/appears', index=waited, wait='20s'), lambda: kv.delete('app/appears'))
results['wait for a deletion'] = entry

results['delete'] = [kv.delete('app/a'), kv.delete('app/a'), kv.delete('app/', recurse=True)]
results['left'] = kv.get('app/', recurse=True)[1]
results['no such datacenter'] = raised(lambda: kv.put('a', 'b', dc='nowhere'))
tell(results)
