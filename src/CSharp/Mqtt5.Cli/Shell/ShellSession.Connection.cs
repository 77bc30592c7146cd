namespace Mqtt5.Cli;

internal sealed partial class ShellSession
{
    private Uri? lastServer;

    private async Task ConnectAsync(ShellLine line, CancellationToken cancellationToken)
    {
        var url = line.Word();
        ExpectEnd(line, "connect");

        if (connection is not null)
            throw new UsageException($"connected to {connection.Name} already; 'disconnect' ends that");

        var request = url is null ? defaults : RequestFor(url);
        lastServer = request.Server;
        var opening = new ShellConnection(request, PreparedConnection.ForPrinting(request, shellTerminal));

        try
        {
            opening.Client.Disconnected += (_, lost) => TellLoss(opening, lost);
            opening.Client.Reconnected += (_, _) => Tell(opening, "connected again");
            var answer = await opening.Client.OpenAsync(cancellationToken);
            connection = opening;
            // Before MQTT 5 a server does not tell which identifier it assigns.
            var id = opening.Client.ClientId is { } known ? $" as {known}" : "";
            screen.Write(new Line().Add("connected", Look.Good).Add($" to {opening.Name}{id}{(answer.SessionPresent ? ", which goes on with its session" : "")}"));
        }
        catch
        {
            await opening.DisposeAsync();
            throw;
        }
    }

    private ConnectionRequest RequestFor(string url)
    {
        var full = url.Contains("://", StringComparison.Ordinal) ? url : $"mqtt://{url}";
        var (server, _, credentials) = ServerAddress.OfUrl(full, namesTopic: false, "/mqtt", "connect");
        return credentials.UserName is null
            ? defaults with { Server = server }
            : defaults with
            {
                Server = server,
                UserName = credentials.UserName,
                Password = credentials.Password is { } bytes ? System.Text.Encoding.UTF8.GetString(bytes.Span) : defaults.Password,
            };
    }

    private async Task DisconnectAsync(ShellLine line, CancellationToken cancellationToken)
    {
        ExpectEnd(line, "disconnect");
        var ended = Connected();
        connection = null;
        subscriptions = subscriptions.Clear();

        try
        {
            await ClientVerb.DisconnectAsync(ended.Client, ended.Request).WaitAsync(cancellationToken);
        }
        finally
        {
            await ended.DisposeAsync();
        }

        screen.Write(new Line().Add($"disconnected from {ended.Name}", Look.Quiet));
    }

    private async Task ExitAsync(ShellLine line, CancellationToken cancellationToken)
    {
        ExpectEnd(line, "exit");
        IsOver = true;

        if (connection is not null)
            await DisconnectAsync(new ShellLine(""), cancellationToken);
    }

    private void TellLoss(ShellConnection lost, MqttDisconnectedEventArgs how)
    {
        if (how.Cause is not { } cause || connection != lost)
            return;

        var next = how.Delay is { } delay ? $"trying again in {delay.TotalSeconds:0.#} s" : "not trying again; 'disconnect', then 'connect'";
        screen.Prompt = Prompt;
        screen.Write(new Line().Add("connection lost", Look.Bad).Add($"  {ConnectionFailure.Describe(cause, lost.Server)}; {next}"));
    }

    private void Tell(ShellConnection one, string what)
    {
        if (connection != one)
            return;

        screen.Prompt = Prompt;
        screen.Write(new Line().Add(what, Look.Good).Add($" to {one.Name}"));
    }

    private Task ShowStatus(ShellLine line)
    {
        ExpectEnd(line, "status");

        if (connection is null)
        {
            Row("Connection", $"none; 'connect' makes one to {ShellConnection.NameOf(defaults.Server)}");
            return Task.CompletedTask;
        }

        var state = connection.Client.State.Status == MqttConnectionStatus.Connected ? "connected" : "away; it is tried again";
        Row("Connection", $"{state}, {connection.Name}");
        Row("Client Identifier", connection.Client.ClientId ?? "none yet");
        Row("Protocol", Spec.version(connection.Request.Version).Name);
        Row("Since", $"{connection.Since.ToLocalTime():yyyy-MM-dd HH:mm:ss}");
        Row("Messages", $"{Figures.Count(Interlocked.Read(ref received))} received, {Figures.Count(published)} published, {Figures.Count(topics.All().Count, "topic")} seen");
        Row("Subscriptions", subscriptions.Count == 0 ? "none" : Figures.Count(subscriptions.Count));

        foreach (var one in subscriptions.Values)
            screen.Write(new Line().At(2).Add(one.Filter, Look.Accent).At(ValueColumn).Add($"QoS {(int)one.QoS}"));

        return Task.CompletedTask;

        void Row(string name, string value) => screen.Write(new Line().Add(name, Look.Strong).At(ValueColumn).Add(value));
    }

    private Task ShowHelp(ShellLine line)
    {
        const int SummaryColumn = 36;
        var name = line.Word();
        ExpectEnd(line, "help");

        if (name is not null)
        {
            var one = ShellCommandLine.Find(name);
            screen.Write(new Line().Add(one.Usage, Look.Accent).Add($"  {one.Summary}"));
            screen.Write(one.Details.Select(detail => new Line().At(2).Add(detail)));
            return Task.CompletedTask;
        }

        foreach (var command in ShellCommandLine.All)
            screen.Write(new Line().At(2).Add(command.Usage, Look.Accent).At(SummaryColumn).Add(command.Summary));

        screen.Write(new Line().Add("Tab completes commands and topics; the arrows recall earlier lines.", Look.Quiet));
        return Task.CompletedTask;
    }
}
