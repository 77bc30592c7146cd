namespace Mqtt5.Engine;

// Two byte arrays: packets are encoded into one while the other is written to the transport. Used under the gate.
internal sealed class SendBuffer
{
    private const int InitialBytes = 16 * 1024;

    // A buffer that one large packet made larger than this is not kept.
    private const int KeptBytes = 4 * 1024 * 1024;

    private byte[] filling = new byte[InitialBytes];
    private byte[]? spare;

    // Bytes that wait to be written.
    public int Length { get; private set; }

    // Room for this many bytes at the end.
    public Span<byte> Reserve(int size)
    {
        if (filling.Length - Length < size)
            Grow(size);

        return filling.AsSpan(Length);
    }

    public void Advance(int written) => Length += written;

    // Takes all that waits; it is given back with Return once it was written.
    public ArraySegment<byte> Take()
    {
        var taken = new ArraySegment<byte>(filling, 0, Length);
        filling = spare ?? new byte[InitialBytes];
        spare = null;
        Length = 0;
        return taken;
    }

    public void Return(byte[] written)
    {
        if (written.Length <= KeptBytes)
            spare = written;
    }

    private void Grow(int size)
    {
        var needed = (long)Length + size;
        var length = (int)Math.Min(Math.Max(needed, 2L * filling.Length), Array.MaxLength);

        if (length < needed)
            throw new InvalidOperationException("more bytes wait to be written than an array can hold");

        var larger = GC.AllocateUninitializedArray<byte>(length);
        filling.AsSpan(0, Length).CopyTo(larger);
        filling = larger;
    }
}
