using System.Buffers.Text;
using System.Text;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Apis.Templates;

namespace Fanfare.Gateway;

/// <summary>Tells the person who started the gateway where it is and how to use it, in lines that work when pasted.</summary>
internal static class StartBanner
{
    /// <summary>Writes the banner, once: the keys it shows are forgotten with it.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="addresses">The addresses listened on.</param>
    /// <param name="publicUrl">The address that clients use, where it is another one.</param>
    /// <param name="model">What is served; <see langword="null"/> where no clients are.</param>
    public static void Write(TextWriter writer, IEnumerable<string> addresses, Uri? publicUrl, ServedModel? model)
    {
        var listening = addresses.ToList();
        foreach (var address in listening)
        {
            writer.WriteLine($"Fanfare is listening on {address}");
        }

        var clientUrl = publicUrl ?? listening.Select(ListenAddress.Parse).FirstOrDefault(uri => uri is not null);
        // Taken even where nothing is shown, so that the model forgets its keys.
        var details = model?.TakeStartDetails();
        if (clientUrl is null || model is null || details is null)
        {
            return;
        }


        foreach (var api in model.Directory.All)
        {
            WriteApi(writer, api.Model, details.Keys, clientUrl, isDefault: api == model.Directory.Default);
        }

        WriteOutputs(writer, details.GetOutputs(clientUrl));
        WriteExample(writer, model.Directory.Default.Model, details.Keys, clientUrl);
    }

    private static void WriteApi(TextWriter writer, Api api, IEnumerable<IssuedKey> keys, Uri clientUrl, bool isDefault)
    {
        // Other APIs are told apart by their host name; only the default one answers to every name.
        var authority = isDefault ? clientUrl.Authority : $"{api.Id}.{clientUrl.Authority}";
        writer.WriteLine();
        writer.WriteLine($"  API        {api.Name} ({api.Id}){(isDefault ? "" : ", chosen by its host name")}");
        writer.WriteLine($"  Namespaces {string.Join(", ", api.Namespaces.Keys.Order(StringComparer.Ordinal))}");
        writer.WriteLine($"  HTTP       {clientUrl.Scheme}://{authority}/event");
        writer.WriteLine($"  WebSocket  {ListenAddress.GetWebSocketScheme(clientUrl)}://{authority}/event/realtime");
        foreach (var key in keys.Where(key => key.ApiId == api.Id))
        {
            var until = key.Expires is { } expires ? $"  (until {expires:yyyy-MM-dd HH:mm} UTC)" : "";
            writer.WriteLine($"  API key    {key.Value}{until}");
        }
    }

    private static void WriteOutputs(TextWriter writer, IReadOnlyList<TemplateOutput> outputs)
    {
        if (outputs.Count == 0)
        {
            return;
        }

        writer.WriteLine();
        writer.WriteLine("Outputs:");
        foreach (var output in outputs)
        {
            writer.WriteLine($"  {output.Stack}.{output.Name} = {output.Value}");
        }
    }

    private static void WriteExample(TextWriter writer, Api api, IEnumerable<IssuedKey> keys, Uri clientUrl)
    {
        // Where nothing decides about the example, it is sure to work.
        var ns = api.Namespaces.Values.Where(ns => IsOpenToKeys(api, ns))
            .OrderBy(ns => ns.HandlesPublish || ns.HandlesSubscribe).ThenBy(ns => ns.Name, StringComparer.Ordinal).FirstOrDefault();
        if (ns is null || keys.FirstOrDefault(key => key.ApiId == api.Id) is not { } key)
        {
            return;
        }

        var authorization = $$"""{"host":"{{clientUrl.Authority}}","x-api-key":"{{key.Value}}"}""";
        var webSocket = $"{ListenAddress.GetWebSocketScheme(clientUrl)}://{clientUrl.Authority}/event/realtime";
        writer.WriteLine();
        writer.WriteLine("Receive events (a second terminal):");
        writer.WriteLine();
        writer.WriteLine($"  npx wscat -c {webSocket} -s aws-appsync-event-ws -s header-{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(authorization))} "
            + $$"""-w 3600 -x '{"type":"subscribe","id":"1","channel":"/{{ns.Name}}/*","authorization":{{authorization}}}'""");
        writer.WriteLine();
        writer.WriteLine("Publish one (a third):");
        writer.WriteLine();
        writer.WriteLine($"  curl {clientUrl.Scheme}://{clientUrl.Authority}/event -H 'x-api-key: {key.Value}' "
            + $$"""-d '{"channel":"/{{ns.Name}}/hello","events":["{\"text\":\"Hello\"}"]}'""");
        writer.WriteLine();
    }

    private static bool IsOpenToKeys(Api api, ChannelNamespace ns) =>
        (ns.PublishModes ?? api.DefaultPublishModes).Includes(AuthMode.ApiKey)
        && (ns.SubscribeModes ?? api.DefaultSubscribeModes).Includes(AuthMode.ApiKey)
        && api.ConnectionModes.Includes(AuthMode.ApiKey);
}
