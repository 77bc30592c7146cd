namespace Mqtt5.Cli;

/// <summary>Reads a whole payload, up to the MQTT limit, so that a device or an endless pipe cannot exhaust memory.</summary>
internal static class BoundedInput
{
    /// <summary>All bytes of a stream.</summary>
    /// <param name="input">The stream.</param>
    /// <param name="name">The name of the input for the error message.</param>
    /// <param name="cancellationToken">Cancels reading.</param>
    /// <exception cref="UsageException">It is longer than a packet may be.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(Stream input, string name, CancellationToken cancellationToken)
    {
        using var all = new MemoryStream();
        var buffer = new byte[64 * 1024];

        while (await input.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var read)
        {
            all.Write(buffer, 0, read);
            Check(all.Length, name);
        }

        return all.GetBuffer().AsMemory(0, (int)all.Length);
    }

    /// <summary>Checks the length read so far.</summary>
    /// <exception cref="UsageException">It is more than a packet may have.</exception>
    public static void Check(long length, string name)
    {
        if (length > Spec.MaximumPacketBytes)
            throw new UsageException($"{name}: this is more than the {Spec.MaximumPacketBytes} bytes that a packet may have");
    }
}
