namespace Mqtt5;

/// <summary>A reliable, ordered connection in both directions (section 4.2 of the standard).</summary>
public interface IMqttConnection : IAsyncDisposable
{
    /// <summary>
    /// The bytes. Reading 0 bytes means that the peer has closed. One read and one write may be under way at the
    /// same time, never two of a kind.
    /// </summary>
    Stream Stream { get; }

    /// <summary>
    /// Tells the peer that no more bytes follow, so that it can read all of them before the connection goes.
    /// Reading goes on. A transport that cannot tell does nothing.
    /// </summary>
    /// <param name="cancellationToken">Set when the time for closing is over.</param>
    /// <returns>When it is told.</returns>
    ValueTask CompleteAsync(CancellationToken cancellationToken);
}
