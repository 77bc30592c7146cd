using System.Text;

namespace Mqtt5.Cli;

/// <summary>Runs the commands of a person at a terminal, or those of standard input, until they end.</summary>
internal static class ShellVerb
{
    private const string InitialCommand = "connect";

    /// <summary>Runs it.</summary>
    /// <exception cref="UsageException">The password cannot be read.</exception>
    public static async Task<int> RunAsync(ShellRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        // Once, before the keyboard belongs to the line that is typed.
        var connection = request.Connection with
        {
            Password = PasswordSource.Read(request.Connection, terminal),
            PasswordFile = null,
            AsksForPassword = false,
        };
        var broker = request.IsEmbedded ? await MqttBroker.StartAsync(options => options.Listen(0), cancellationToken) : null;

        try
        {
            if (broker is not null)
                connection = connection with { Server = broker.Addresses[0] };

            var screen = new ShellScreen(terminal);
            await using var session = new ShellSession(connection, terminal, screen);
            var connects = request.ConnectsAtOnce || broker is not null;
            return terminal.IsInputRedirected || !screen.IsLive
                ? await RunLinesAsync(session, terminal, connects, cancellationToken)
                : await RunInteractivelyAsync(session, screen, connects, cancellationToken);
        }
        finally
        {
            if (broker is not null)
                await broker.DisposeAsync();
        }
    }

    private static async Task<int> RunInteractivelyAsync(
        ShellSession session, ShellScreen screen, bool connects, CancellationToken cancellationToken)
    {
        using var editor = new LineEditor(screen, session.Complete);
        screen.Write(new Line().Add("mqtt5 shell", Look.Strong).Add("  type 'help' for its commands, and Ctrl+D to leave"));

        if (connects)
            await RunOneAsync(InitialCommand);

        while (!session.IsOver && await editor.ReadLineAsync(session.Prompt, cancellationToken) is { } line)
            await RunOneAsync(line);

        return ExitCode.WellFormed;

        async Task RunOneAsync(string line)
        {
            try
            {
                await editor.DuringAsync(stop => session.RunAsync(line, stop), cancellationToken);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                screen.Write(new Line().Add("interrupted"));
            }
            catch (Exception failure) when (session.Explain(failure) is { } explanation)
            {
                screen.Write(new Line().Add("error", Look.Bad).Add($"  {explanation}"));
            }

            if (ShellLine.MayBeRemembered(line))
                editor.History.Add(line);
        }
    }

    private static async Task<int> RunLinesAsync(
        ShellSession session, Terminal terminal, bool connects, CancellationToken cancellationToken)
    {
        using var input = new StreamReader(terminal.OpenInput(), new UTF8Encoding(false));
        var number = 0;
        var exitCode = ExitCode.WellFormed;

        if (connects)
            await RunOneAsync(InitialCommand, "");

        while (!session.IsOver && await input.ReadLineAsync(cancellationToken) is { } line)
        {
            number++;
            await RunOneAsync(line, $"line {number}: ");
        }

        return exitCode;

        async Task RunOneAsync(string line, string place)
        {
            try
            {
                await session.RunAsync(line, cancellationToken);
            }
            catch (Exception failure) when (!cancellationToken.IsCancellationRequested && session.Explain(failure) is { } explanation)
            {
                exitCode = ExitCode.Fault;
                await terminal.Error.WriteLineAsync($"mqtt5: {place}{explanation}");
            }
        }
    }
}
