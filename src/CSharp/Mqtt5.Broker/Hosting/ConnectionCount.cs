namespace Mqtt5.Hosting;

// How many connections there are.
internal sealed class ConnectionCount
{
    private long value;

    public long Value => Interlocked.Read(ref value);

    public long Add() => Interlocked.Increment(ref value);

    public long Remove() => Interlocked.Decrement(ref value);
}
