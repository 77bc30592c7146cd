using System.Buffers;

namespace Mqtt5.Serving;

internal sealed partial class Worker
{
    // Larger packets than this that lie across two segments are copied to memory of their own.
    private const int ScratchBytes = 16 * 1024;

    private byte[]? scratch;

    // The first bytes of the input in one piece, which may be longer than asked for, without allocating for ordinary
    // packets. Valid until the next call.
    public ReadOnlyMemory<byte> Piece(Connection publisher, int length, in ReadOnlySequence<byte> input)
    {
        if (input.First.Length >= length)
            return input.First;

        if (length > ScratchBytes)
            return Framer.Memory(length, input);

        // The run may borrow it.
        EndRun(publisher);
        scratch ??= new byte[ScratchBytes];
        input.Slice(0, length).CopyTo(scratch);
        return scratch.AsMemory(0, length);
    }
}
