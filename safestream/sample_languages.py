"""Made-up remarks in other languages than English: what a platform with listeners everywhere sees as well."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Remarks:
    """Everyday remarks of a language, and a few that nobody should get."""

    kind: tuple[str, ...]
    unkind: tuple[str, ...]


REMARKS: Final[Mapping[str, Remarks]] = {
    "de": Remarks(
        ("Die zweite Hälfte ist viel besser.", "Wann kommt die nächste Folge?", "Tolles Lied, danke!",
         "Weiß jemand, wie das Stück am Ende heißt?"),
        ("Du bist so ein erbärmlicher Idiot, verschwinde.", "Diese Flüchtlinge sind Ungeziefer und gehören weg."),
    ),
    "es": Remarks(
        ("¡Qué bonita canción, gracias por compartirla!", "¿Alguien sabe cuándo sale el próximo episodio?",
         "No estoy de acuerdo, pero entiendo lo que dices.", "La escuché tres veces seguidas esta mañana."),
        ("Cállate, idiota, nadie te quiere aquí.", "Los inmigrantes son una plaga, que los echen a todos."),
    ),
    "fr": Remarks(
        ("Merci pour cet épisode, j'ai appris plein de choses.", "Qui connaît le titre de la dernière chanson ?",
         "La voix est magnifique.", "On se voit au concert vendredi ?"),
        ("Ferme-la, espèce de débile, personne ne t'aime.", "Les Roms sont des parasites, il faut tous les virer."),
    ),
    "pt": Remarks(
        ("Que música linda, ouvi o dia inteiro!", "Alguém sabe o nome do convidado de ontem?",
         "Concordo com quase tudo, obrigado.", "Meu irmão vai adorar isso."),
        ("Cala a boca, seu idiota, ninguém te quer aqui.", "Mulher não serve pra nada, só atrapalha."),
    ),
    "ar": Remarks(
        ("أغنية جميلة جدا، شكرا على المشاركة", "متى تنزل الحلقة القادمة؟", "صوت رائع، استمعت إليها ثلاث مرات"),
        ("اخرس يا غبي، لا أحد يريدك هنا", "اللاجئون حثالة ويجب طردهم جميعا"),
    ),
    "hi": Remarks(
        ("बहुत सुंदर गाना है, धन्यवाद", "अगला एपिसोड कब आएगा?", "मुझे यह आवाज़ बहुत पसंद है"),
        ("चुप कर बेवकूफ, यहाँ तेरी किसी को ज़रूरत नहीं", "मुसलमान गंदे होते हैं, इन सबको निकालो"),
    ),
    "zh": Remarks(
        ("这首歌太好听了，谢谢分享", "下一期什么时候出？", "声音真的很棒，我听了三遍"),
        ("闭嘴吧你这个白痴，没人想看到你", "黑人都是垃圾，滚出去"),
    ),
    "pl": Remarks(
        ("Piękna piosenka, dziękuję za udostępnienie!", "Kiedy będzie następny odcinek?",
         "Nie zgadzam się, ale rozumiem, o co chodzi."),
        ("Zamknij się, idioto, nikt cię tu nie chce.", "Ukraińcy to zaraza, wyrzucić ich wszystkich."),
    ),
}  # fmt: skip
