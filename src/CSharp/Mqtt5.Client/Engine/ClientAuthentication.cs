using Microsoft.FSharp.Core;

namespace Mqtt5.Engine;

// Code of the application for credentials and authentication runs in tasks of its own, and its answers come back as
// events of the link that asked.
internal sealed class ClientAuthentication(ClientEngine engine, MqttClientOptions options)
{
    // What to show of the client at a connect.
    public async Task<Credentials> GetCredentialsAsync(Link link)
    {
        try
        {
            var shown = options.CredentialsProvider is { } provider
                ? await provider(link.Stopping).AsTask().OrCancelledAsync(link.Stopping).ConfigureAwait(false)
                : options.Credentials;
            var authentication = FSharpValueOption<Authentication>.None;

            if (options.Authenticator is { } authenticator)
            {
                var exchange = authenticator.Begin();
                link.Exchange = exchange;
                var data = await exchange.StartAsync(link.Stopping).AsTask().OrCancelledAsync(link.Stopping).ConfigureAwait(false);
                authentication = FSharpValueOption<Authentication>.Some(AuthenticationOf(authenticator.Method, data));
            }

            return new Credentials(
                shown?.UserName.ToOption() ?? FSharpValueOption<Utf8String>.None,
                SecretOf(shown?.Password, "Password"),
                authentication);
        }
        catch (Exception failure) when (!link.Stopping.IsCancellationRequested)
        {
            throw new CredentialsException(failure);
        }
    }

    // Whether the server has proven itself with its CONNACK.
    public async Task<bool> VerifyAsync(Link link, Packet packet)
    {
        var connack = ((Packet.Connack)packet).Connack;

        if (connack.Reason >= ReasonCode.UnspecifiedError || link.Exchange is not { } exchange)
            return true;

        try
        {
            var data = DataOf(connack.Properties.Authentication);
            await AnsweringOf(link).ConfigureAwait(false);
            var verifying = Task.Run(() => exchange.CompleteAsync(data, link.Stopping).AsTask(), link.Stopping);
            await verifying.OrCancelledAsync(link.Stopping).ConfigureAwait(false);
            return true;
        }
        catch (Exception failure)
        {
            GiveUp(link, failure);
            return false;
        }
    }

    // Authenticates again on the connection that is open.
    public async Task ReauthenticateAsync(CancellationToken cancellationToken)
    {
        var authenticator = options.Authenticator
            ?? throw new InvalidOperationException("the options of the client have no authenticator");
        var exchange = authenticator.Begin();
        var first = await exchange.StartAsync(cancellationToken).ConfigureAwait(false);
        var authentication = AuthenticationOf(authenticator.Method, first);
        var request = new Request();
        Link? link;

        lock (engine.Gate)
        {
            link = engine.Current;
            engine.Ask(request, ticket => ClientEvent.NewReauthenticate(authentication, ticket));

            // The machine rejects this one while the client connects or another one is under way, and that keeps its exchange.
            if (link is not null && !request.Task.IsCompleted)
                link.Exchange = exchange;
        }

        var settlement = await WaitForAuthenticationAsync(request, cancellationToken).ConfigureAwait(false);

        if (settlement is not Settlement.Authenticated authenticated)
            throw Failures.Of(settlement!, cancellationToken);

        try
        {
            var data = DataOf(FSharpValueOption<Authentication>.Some(authenticated.Auth.Authentication));
            await AnsweringOf(link!).WaitAsync(cancellationToken).ConfigureAwait(false);
            await exchange.CompleteAsync(data, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            GiveUp(link!, failure);
            throw;
        }
    }

    private async Task<Settlement?> WaitForAuthenticationAsync(Request request, CancellationToken cancellationToken)
    {
        try
        {
            return await request.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            engine.Cancel(request.Ticket);
            throw;
        }
    }

    public void Challenge(Authentication challenge)
    {
        if (engine.Current is { Exchange: { } exchange } link)
            link.Answering = AnswerAsync(link, exchange, challenge, link.Answering);
    }

    // An exchange is asked one thing after another, however fast the server asks.
    private Task AnsweringOf(Link link)
    {
        lock (engine.Gate)
            return link.Answering;
    }

    private async Task AnswerAsync(Link link, IMqttAuthenticationExchange exchange, Authentication challenge, Task before)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);

        try
        {
            var asked = DataOf(FSharpValueOption<Authentication>.Some(challenge));
            var data = await exchange.ContinueAsync(asked, link.Stopping).AsTask().OrCancelledAsync(link.Stopping).ConfigureAwait(false);
            engine.Post(link, ClientEvent.NewAnswer(AuthenticationOf(challenge.Method.Text, data)));
        }
        catch (Exception failure)
        {
            GiveUp(link, failure);
        }
    }

    private void GiveUp(Link link, Exception failure)
    {
        lock (engine.Gate)
        {
            if (link != engine.Current)
                return;

            engine.Run(ClientEvent.NewGiveUp(ClientEngine.FailureOf(FailedPart.Authenticator, failure)));
        }
    }

    private static Authentication AuthenticationOf(string method, ReadOnlyMemory<byte>? data) =>
        new(Utf8String.Of(method), SecretOf(data, "Authentication Data"));

    private static FSharpValueOption<Secret> SecretOf(ReadOnlyMemory<byte>? data, string field)
    {
        if (data is not { } bytes)
            return FSharpValueOption<Secret>.None;

        if (bytes.Length > ushort.MaxValue)
            throw new ArgumentException($"{field} has more than 65,535 bytes");

        return FSharpValueOption<Secret>.Some(new Secret(Bytes.Copy(bytes.Span)));
    }

    private static ReadOnlyMemory<byte>? DataOf(FSharpValueOption<Authentication> authentication) =>
        authentication.IsSome && authentication.Value.Data.IsSome
            ? authentication.Value.Data.Value.Reveal.Memory
            : default(ReadOnlyMemory<byte>?);
}
