namespace Mqtt5.Cli;

/// <summary>Runs a verb that is a client, and turns what ends it into an exit code and a line on standard error.</summary>
internal static class ClientVerb
{
    /// <summary>Reads the request and runs it.</summary>
    public static async Task<int> RunAsync<TRequest>(
        Terminal terminal,
        Func<TRequest> read,
        Func<TRequest, ConnectionRequest> connectionOf,
        Func<TRequest, Task<int>> run,
        CancellationToken cancellationToken)
    {
        ConnectionRequest? connection = null;

        try
        {
            var request = read();
            connection = connectionOf(request);
            return await run(request).ConfigureAwait(false);
        }
        catch (UsageException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}").ConfigureAwait(false);
            return ExitCode.Fault;
        }
        catch (ArgumentException exception)
        {
            // The client rejected its options.
            await terminal.Error.WriteLineAsync($"mqtt5: {ClientOptionNames.Describe(exception)}").ConfigureAwait(false);
            return ExitCode.Fault;
        }
        catch (MqttException failure)
        {
            await TellAsync(ConnectionFailure.Describe(failure, connection!.Server)).ConfigureAwait(false);
            return ConnectionFailure.ExitCodeOf(failure);
        }
        catch (TimeoutException)
        {
            await TellAsync("timed out").ConfigureAwait(false);
            return ExitCode.TimedOut;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            // The reader of the output has closed it.
            return ExitCode.WellFormed;
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            await TellAsync(description).ConfigureAwait(false);
            return ExitCode.Fault;
        }

        Task TellAsync(string what) =>
            connection is { IsQuiet: true } ? Task.CompletedTask : terminal.Error.WriteLineAsync($"mqtt5: {what}");
    }

    /// <summary>Tells on standard error when a connection is lost and tried again.</summary>
    public static void TellReconnects(MqttClient client, ConnectionRequest request, Terminal terminal)
    {
        if (request.IsQuiet)
            return;

        client.Disconnected += (_, lost) =>
        {
            if (lost is { Cause: { } cause, Delay: { } delay })
                terminal.Error.WriteLine($"mqtt5: {ConnectionFailure.Describe(cause, request.Server)}; trying again in {delay.TotalSeconds:0.#} s");
        };
    }

    /// <summary>Disconnects as the properties for DISCONNECT say.</summary>
    /// <param name="client">The client.</param>
    /// <param name="request">Its request.</param>
    /// <param name="publishesWill">Whether the server publishes the Will Message all the same.</param>
    public static Task DisconnectAsync(MqttClient client, ConnectionRequest request, bool publishesWill = false) =>
        client.DisconnectAsync(
            publishesWill && request.Will is not null ? ReasonCode.DisconnectWithWillMessage : ReasonCode.Success,
            request.Properties.Seconds(Scope.Disconnect, PropertyId.SessionExpiryInterval),
            request.Properties.Text(Scope.Disconnect, PropertyId.ReasonString),
            request.Properties.UserProperties(Scope.Disconnect));
}
