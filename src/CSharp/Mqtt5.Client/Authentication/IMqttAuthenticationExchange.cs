namespace Mqtt5;

/// <summary>
/// One exchange of a method of enhanced authentication. Its methods are called in turn, never two at a time. An
/// exception ends the connection; the text of the exception is logged and must not hold secrets.
/// </summary>
public interface IMqttAuthenticationExchange
{
    /// <summary>The data of CONNECT, or of the AUTH that begins a re-authentication.</summary>
    /// <param name="cancellationToken">Set when the attempt is given up.</param>
    /// <returns>The data; null: none is sent.</returns>
    ValueTask<ReadOnlyMemory<byte>?> StartAsync(CancellationToken cancellationToken);

    /// <summary>The answer to an AUTH of the server.</summary>
    /// <param name="data">What the server sent; null: nothing.</param>
    /// <param name="cancellationToken">Set when the attempt is given up.</param>
    /// <returns>The data; null: none is sent.</returns>
    ValueTask<ReadOnlyMemory<byte>?> ContinueAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken);

    /// <summary>The server is satisfied. Throw if it has not proven itself as the method demands.</summary>
    /// <param name="data">What the server sent with its success; null: nothing.</param>
    /// <param name="cancellationToken">Set when the attempt is given up.</param>
    /// <returns>When the server is trusted.</returns>
    ValueTask CompleteAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken);
}
